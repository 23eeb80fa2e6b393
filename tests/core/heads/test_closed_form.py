import numpy as np
import pytest
import scipy.linalg
import torch

from vlcore.heads.closed_form import fit_cca, solve_cca
from vlcore.heads.moments import paired_moments


def related(rows, image_width, text_width, shared=4, noise=0.5, seed=0):
    """Two feature matrices that share some directions."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(rows, shared))
    image = common @ generator.normal(size=(shared, image_width)) + noise * generator.normal(size=(rows, image_width))
    text = common @ generator.normal(size=(shared, text_width)) + noise * generator.normal(size=(rows, text_width))
    return image * generator.uniform(0.1, 9, image_width) + 3, text * generator.uniform(0.1, 9, text_width) - 2


def reference(image, text, regularisation, text_regularisation=None):
    """Correlations by the generalised eigenproblem [[0, C], [C', 0]] v = s [[Cii + r, 0], [0, Ctt + r]] v."""

    def standardised(features):
        centred = features - features.mean(0)
        deviation = centred.std(0)
        return centred / np.where(deviation > 0, deviation, 1)

    x, y = standardised(image), standardised(text)
    rows, p, q = len(x), x.shape[1], y.shape[1]
    left = np.zeros((p + q, p + q))
    left[:p, p:] = x.T @ y / rows
    left[p:, :p] = left[:p, p:].T
    right = scipy.linalg.block_diag(
        x.T @ x / rows + regularisation * x.var(0).mean() * np.eye(p),
        y.T @ y / rows + (text_regularisation or regularisation) * y.var(0).mean() * np.eye(q),
    )
    values, vectors = scipy.linalg.eigh(left, right)
    order = np.argsort(-values)[: min(p, q, rows - 1)]
    # A unit vector of the joint problem has half its norm on each side.
    return values[order], vectors[:p, order] * 2**0.5, vectors[p:, order] * 2**0.5


def recall_at_1(image, text):
    scores = torch.nn.functional.normalize(image, dim=1) @ torch.nn.functional.normalize(text, dim=1).T
    return float((scores.argmax(1) == torch.arange(len(scores))).double().mean())


@pytest.mark.parametrize("rows, image_width, text_width", [(200, 12, 7), (200, 7, 12), (30, 50, 9), (20, 60, 40)])
@pytest.mark.parametrize("regularisation", [0.01, 0.1, 3.0])
def test_equals_the_generalised_eigenproblem(rows, image_width, text_width, regularisation):
    image, text = related(rows, image_width, text_width)
    alignment = fit_cca(image, text, regularisation=regularisation)
    correlations, image_directions, text_directions = reference(image, text, regularisation)
    np.testing.assert_allclose(alignment.correlations, correlations, atol=1e-10)
    # Directions are unique up to sign where the correlations are well apart; compare the strongest.
    for found, expected in (
        (alignment.image_directions[:, :4].numpy(), image_directions[:, :4]),
        (alignment.text_directions[:, :4].numpy(), text_directions[:, :4]),
    ):
        np.testing.assert_allclose(np.abs(np.sum(found * expected, 0)), np.sum(expected**2, 0), rtol=1e-6)


def test_each_side_can_have_its_own_ridge():
    image, text = related(200, 12, 7)
    alignment = fit_cca(image, text, regularisation=(3.0, 0.1))
    np.testing.assert_allclose(alignment.correlations, reference(image, text, 3.0, 0.1)[0], atol=1e-10)
    assert not np.allclose(alignment.correlations, fit_cca(image, text, regularisation=(0.1, 3.0)).correlations)


def test_both_sides_of_a_direction_have_the_same_sign():
    image, text = related(200, 12, 7, noise=0.1)
    alignment = fit_cca(image, text)
    image_head, text_head = alignment.heads(3, power=0)
    with torch.no_grad():
        products = image_head(torch.tensor(image).float()) * text_head(torch.tensor(text).float())
    assert (products.mean(0) > 0).all()


def test_recovers_a_planted_linear_map():
    generator = np.random.default_rng(1)
    image = generator.normal(size=(600, 40))
    text = image @ generator.normal(size=(40, 24)) + 0.05 * generator.normal(size=(600, 24))
    image_head, text_head = fit_cca(image[:400], text[:400], regularisation=0.01).heads(24)
    with torch.no_grad():
        recall = recall_at_1(image_head(torch.tensor(image[400:]).float()), text_head(torch.tensor(text[400:]).float()))
    assert recall > 0.95


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, 4.0])
def test_heads_weigh_components_by_the_power_of_their_correlation(power):
    image, text = related(100, 10, 8)
    alignment = fit_cca(image, text)
    image_head, text_head = alignment.heads(5, power)
    assert image_head.config() == {"in_features": 10, "out_features": 5, "bias": False}
    with torch.no_grad():
        dot = image_head(torch.tensor(image).float()) @ text_head(torch.tensor(text).float()).T
    a = ((torch.tensor(image) - alignment.image_mean) / alignment.image_scale) @ alignment.image_directions[:, :5]
    b = ((torch.tensor(text) - alignment.text_mean) / alignment.text_scale) @ alignment.text_directions[:, :5]
    expected = torch.einsum("ik,jk,k->ij", a, b, alignment.correlations[:5] ** power)
    torch.testing.assert_close(dot.double(), expected, rtol=1e-4, atol=1e-4)


def test_correlations_do_not_depend_on_scale_or_offset_of_the_columns():
    image, text = related(150, 9, 6)
    changed = image * np.logspace(-2, 2, 9) + 100
    np.testing.assert_allclose(fit_cca(changed, text).correlations, fit_cca(image, text).correlations, atol=1e-8)


def test_correlations_do_not_depend_on_a_rotation_of_whitened_features():
    # A rotation keeps the columns' variance at 1 only where the covariance is the identity.
    generator = np.random.default_rng(2)
    image, text = related(300, 8, 6)
    centred = image - image.mean(0)
    left, _, _ = np.linalg.svd(centred, full_matrices=False)
    rotation, _ = np.linalg.qr(generator.normal(size=(8, 8)))
    plain, rotated = fit_cca(left, text), fit_cca(left @ rotation, text)
    np.testing.assert_allclose(plain.correlations, rotated.correlations, atol=1e-9)


def test_order_of_the_pairs_and_repetition_of_the_set_change_nothing():
    image, text = related(80, 9, 6)
    order = np.random.default_rng(3).permutation(80)
    expected = fit_cca(image, text).correlations
    np.testing.assert_allclose(fit_cca(image[order], text[order]).correlations, expected, atol=1e-10)
    twice = fit_cca(np.repeat(image, 2, axis=0), np.repeat(text, 2, axis=0)).correlations
    np.testing.assert_allclose(twice, expected, atol=1e-10)


def test_captions_of_one_image_in_neighbouring_rows_equal_the_reference():
    image, text = related(60, 9, 6)
    image = np.repeat(image[:12], 5, axis=0)
    np.testing.assert_allclose(fit_cca(image, text).correlations, reference(image, text, 0.1)[0], atol=1e-10)


def test_blocks_of_rows_give_the_same_moments(monkeypatch):
    image, text = related(100, 9, 6)
    image = np.repeat(image[:50], 2, axis=0)
    whole = paired_moments(image, text)
    monkeypatch.setattr("vlcore.heads.moments.BLOCK_ROWS", 7)
    parts = paired_moments(image, text)
    torch.testing.assert_close(parts.cross, whole.cross)
    torch.testing.assert_close(parts.image.covariance, whole.image.covariance)


def test_memory_mapped_float32_and_torch_inputs_are_accepted(tmp_path):
    image, text = related(50, 9, 6)
    np.save(tmp_path / "image.npy", image.astype(np.float32))
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    alignment = fit_cca(mapped, torch.tensor(text))
    np.testing.assert_allclose(alignment.correlations, reference(image, text, 0.1)[0], atol=1e-5)


@pytest.mark.parametrize("rows", [10, 60])
@pytest.mark.parametrize("rounding", [0.0, 1e-9])
def test_constant_columns_are_ignored_and_stay_harmless(rows, rounding):
    image, text = related(rows, 12, 6)
    image[:, 3] = 5 + rounding * np.random.default_rng(0).normal(size=rows)
    alignment = fit_cca(image, text)
    assert torch.isfinite(alignment.image_directions).all()
    np.testing.assert_allclose(alignment.image_directions[3], 0, atol=1e-6)
    image_head, _ = alignment.heads(3)
    unseen = torch.tensor(image[:2]).float()
    before = image_head(unseen)
    unseen[:, 3] = 100
    torch.testing.assert_close(image_head(unseen), before, atol=1e-4, rtol=1e-4)


def test_all_columns_constant_gives_no_correlation():
    alignment = fit_cca(np.ones((10, 3)), np.random.default_rng(0).normal(size=(10, 2)))
    np.testing.assert_allclose(alignment.correlations, 0, atol=1e-12)
    assert torch.isfinite(alignment.text_directions).all()


def test_rank_deficient_features_equal_the_reference():
    image, text = related(80, 6, 5)
    image = np.concatenate([image, image[:, :3]], axis=1)
    np.testing.assert_allclose(fit_cca(image, text).correlations, reference(image, text, 0.1)[0][:5], atol=1e-10)


def test_fewer_rows_than_columns_offer_no_more_components_than_they_hold():
    image, text = related(6, 40, 30)
    alignment = fit_cca(image, text)
    assert len(alignment.correlations) == 5
    with pytest.raises(ValueError, match="choose 1 to 5"):
        alignment.heads(6)
    with pytest.raises(ValueError, match="choose 1 to 5"):
        alignment.heads(0)


def test_result_does_not_depend_on_the_sign_the_solver_happens_to_pick():
    image, text = related(100, 9, 6)
    directions = fit_cca(image, text).image_directions
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_are_named_by_row(bad):
    image, text = related(20, 4, 3)
    text[13, 1] = bad
    with pytest.raises(ValueError, match=r"text features .* row 13"):
        fit_cca(image, text)


@pytest.mark.parametrize(
    "image_shape, text_shape, message",
    [
        ((5, 3), (6, 3), "5 rows"),
        ((5,), (5, 3), "expected"),
        ((1, 3), (1, 3), "at least two"),
        ((5, 0), (5, 3), "column"),
    ],
)
def test_shapes_that_do_not_pair_up_are_refused(image_shape, text_shape, message):
    with pytest.raises(ValueError, match=message):
        fit_cca(np.ones(image_shape), np.ones(text_shape))


@pytest.mark.parametrize("regularisation", [0.0, -1.0, float("nan"), float("inf"), (1.0, 0.0), (-1.0, 1.0)])
def test_regularisation_must_be_positive(regularisation):
    image, text = related(20, 4, 3)
    with pytest.raises(ValueError, match="regularisation"):
        solve_cca(paired_moments(image, text), regularisation=regularisation)
