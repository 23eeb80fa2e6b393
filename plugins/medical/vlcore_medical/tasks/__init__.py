"""Medical tasks on the features of frozen towers: questions, findings, places, masks, reports."""
