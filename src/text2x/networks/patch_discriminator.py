"""The discriminator of patches: a logit for each overlapping piece of a picture (Isola et al. 2017, pix2pix).

Shapes: B batch, C channels. Logits are higher where a piece looks real.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from text2x.errors import InputError
from text2x.nn.blocks import num_groups

SLOPE = 0.2  # of the leaky ReLU (Isola et al. 2017, Sec. 6.1.2)
MOST_WIDER = 8  # times the first layer's channels, at most (the same)


@dataclass(frozen=True)
class PatchDiscriminatorConfig:
    """Shape of the discriminator: `layers` halvings; a logit sees 16, 34 or 70 pixels along a side at 1, 2 or 3.

    Latent diffusion has 64 and 3 for pictures of 256 pixels.
    """

    in_channels: int = 4
    width: int = 32
    layers: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= 5 or self.width < 1:
            raise InputError(
                f"discriminator.layers is {self.layers} and width {self.width}; layers are 1 to 5, width at least 1"
            )

    @property
    def sees(self) -> int:
        """Pixels along a side that a logit depends on."""
        field = 1
        for stride in (1, 1, *[2] * self.layers):
            field = (field - 1) * stride + 4
        return field


class PatchDiscriminator(nn.Module):
    """Convolutions of 4x4: `layers` that halve the size, two that keep it but for a row and a column.

    Norms are over groups of an item's channels, not over the batch as published: an item is judged on its own.
    """

    def __init__(self, config: PatchDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * min(2**place, MOST_WIDER) for place in range(config.layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(config.in_channels, widths[0], 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for place, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            stride = 2 if place < config.layers - 1 else 1
            layers += [
                nn.Conv2d(before, after, 4, stride, 1, bias=False),
                nn.GroupNorm(num_groups(after), after),
                nn.LeakyReLU(SLOPE),
            ]
        layers.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)  # Isola et al. 2017, Sec. 6.2

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 1, H / 2^layers - 2, W / 2^layers - 2], in float32."""
        return self.layers(images).float()
