"""Windows over a sound, and holes put into known samples: oracles in closed form."""

import numpy as np
import pytest
import torch
from torch import Tensor

from text2x.conditioning import Conditioning, Prepared
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import XStart
from text2x.diffusion.schedules import Linear
from text2x.errors import InputError
from text2x.networks.dit import DiT, DiTConfig
from text2x.nn.rotary import angles, positions
from text2x.sound_diffusion import SoundSampling, told_numbers
from text2x.sound_sampling import Layout, mended, over_windows


class Shifted:
    """A network that adds what it is told beside x, so that its windows can be checked."""

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """Nothing."""
        return Prepared()

    def __call__(self, x: Tensor, t: Tensor, conditioning: Prepared) -> Tensor:
        """x and the first channel beside it."""
        return x if conditioning.channels is None else x + conditioning.channels[:, :1]


@pytest.mark.parametrize(
    ("frames", "loop"), [(7, False), (10, False), (11, False), (37, False), (11, True), (36, True)]
)
def test_windows_cover_a_sound_and_estimates_where_they_agree_stay(frames: int, loop: bool) -> None:
    layout = Layout(frames, 10, 5, loop)
    places = layout.places()
    counts = torch.cat(places).bincount(minlength=frames)
    assert counts.min() >= 1 and (frames <= 10 or all(len(place.unique()) == 10 for place in places))
    if loop:
        assert counts.min() >= 2  # the seam is no place of its own
    denoiser = Denoiser(Shifted(), Linear(), XStart())
    x, known = torch.randn(2, 1, frames), torch.randn(1, 2, frames)
    made = over_windows(denoiser, Conditioning(), layout, lambda place: known[..., place])(x, torch.full((2,), 0.5))
    torch.testing.assert_close(made, x + known[:, :1])


def test_rope_around_a_circle_turns_whole_times_and_stays_near_its_own() -> None:
    plain, round_ = (angles(positions([51]), 32, circles=circles) for circles in (None, [50]))
    turns = round_[50] / (2 * torch.pi)
    torch.testing.assert_close(turns, turns.round(), atol=1e-5, rtol=0)
    assert ((round_ - plain)[1].abs() <= torch.pi / 50 + 1e-6).all()
    with pytest.raises(InputError, match="loops need 'rope'"):
        network = DiT(DiTConfig(dims=1, patch=1, width=16, depth=1, num_heads=2, positions="sines"))
        network(torch.zeros(1, 4, 8), torch.zeros(1), Conditioning(), circular=True)


def test_what_is_known_stays_and_fades_into_what_is_made() -> None:
    made, known = np.zeros((1, 100), np.float32), np.full((1, 100), 0.5, np.float32)
    keep = (np.arange(100) < 30) | (np.arange(100) >= 70)
    whole = mended(made, known, keep, 10)
    assert np.array_equal(whole[:, keep], known[:, keep]) and not whole[0, 40:60].any()
    assert np.all(np.diff(whole[0, 29:41]) < 0) and np.all(np.diff(whole[0, 59:71]) > 0)
    np.testing.assert_allclose(whole[0], whole[0, ::-1], atol=1e-7)


def test_a_hole_at_the_end_of_a_loop_leads_into_the_beginning() -> None:
    made, known = np.zeros((1, 100), np.float32), np.full((1, 100), 0.5, np.float32)
    keep = np.arange(100) < 60
    plain, loop = (mended(made, known, keep, 10, each) for each in (False, True))
    assert plain[0, -1] == 0 and abs(loop[0, -1] - loop[0, 0]) < 0.05
    assert np.array_equal(loop[:, :60], known[:, :60]) and not loop[0, 70:90].any()
    nothing = mended(made + 0.25, known, np.zeros(100, bool), 10)
    assert np.array_equal(nothing, made + 0.25)


def test_a_hole_shorter_than_the_fades_and_one_sample_of_context_are_no_trouble() -> None:
    made, known = np.zeros((1, 20), np.float32), np.full((1, 20), 0.5, np.float32)
    for keep in (np.arange(20) != 7, np.arange(20) == 0, np.arange(20) == 19, np.arange(20) % 2 == 0):
        for loop in (False, True):
            whole = mended(made, known, keep, 10, loop)
            assert np.array_equal(whole[:, keep], known[:, keep]) and np.abs(whole).max() <= 1


def test_what_tells_the_seconds_is_bounded_and_differs() -> None:
    told = told_numbers(torch.tensor([0.5, 1.0, 4.0, 9.0]), 4.0, False)
    assert told.abs().max() <= 4.001 and torch.equal(told[2], told[3])
    assert (told[0] - told[1]).norm() > 0.5
    assert not torch.equal(told, told_numbers(torch.tensor([0.5, 1.0, 4.0, 9.0]), 4.0, True))


def test_sampling_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"overlap 0\.9"):
        SoundSampling(overlap=0.9)
