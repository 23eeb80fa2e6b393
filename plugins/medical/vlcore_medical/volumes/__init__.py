"""Volumes of NIfTI files and DICOM series, as MONAI takes them."""
