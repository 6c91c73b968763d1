"""The convolution that meets the image, and the memory layout of those that follow it."""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)

WORD = 4
"""Bytes that a transposition moves at once, and pixels along the side of a block."""

LANES = 8
"""Channels, or a multiple, that a GPU's matrix units take 16-bit numbers by."""


def channels_last(module: ModuleT) -> ModuleT:
    """Lay the convolution weights of `module` out with the channels last, in place, and return the module.

    Values and shapes stay; a convolution with such weights also returns its maps in that layout.
    """
    for weight in module.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return module


class PixelConv(nn.Conv2d):
    """A convolution over images (B, C, H, W) of bytes or floats, computed in the dtype of its weights.

    uint8 images mean 0..255 and are scaled to 0..1; floats are taken as they are. No gradient reaches the bytes.
    """

    def forward(self, obs: Tensor) -> Tensor:
        """Return the feature maps, (B, out_channels, H', W')."""
        weight = self.weight
        if obs.dtype == torch.uint8:
            # The scale goes into the weights, of which there are far fewer than pixels; and the pixels stay integers
            # up to 255, which bfloat16 with its 8 significant bits holds exactly.
            weight = weight * (1 / 255)
            if self._fits_words(obs):
                return F.conv2d(_word_blocks(obs).to(weight.dtype), _block_weight(weight), self.bias)
        if obs.is_cuda and self._fits_blocks(obs):
            return F.conv2d(_pixel_blocks(obs, weight.dtype), _pixel_block_weight(weight), self.bias)
        # First the layout, then the dtype: bytes are cheaper to transpose.
        x = obs.contiguous(memory_format=torch.channels_last).to(weight.dtype)
        if obs.is_cuda and weight.dtype in (torch.bfloat16, torch.float16):
            x, weight = _widened(x), _widened(weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    def _fits_words(self, obs: Tensor) -> bool:
        """Return whether bytes can be cut into blocks of the stride by a CPU, with rows of one word each."""
        # True for the Nature network on 84 x 84 pixels. At batch 32 on two cores, forward and backward, conversion of
        # the bytes included, blocks make this layer 1.05 (float32) and 1.2 times (bfloat16) as fast, and the whole
        # network 1.03 and 1.07 times; at batch 8 they change nothing. Other strides and devices were not measured.
        return (
            not torch.compiler.is_compiling()  # a compiler rearranges by itself, and cannot ask for the offset
            and obs.is_cpu
            and self._fits_blocks(obs)
            and obs[:1].is_contiguous()
            and obs.storage_offset() % WORD == 0
            and obs.stride(0) % WORD == 0
        )

    def _fits_blocks(self, obs: Tensor) -> bool:
        """Return whether the images can be cut into blocks of the stride."""
        sides = (*obs.shape[2:], *self.kernel_size)
        return self.stride == (WORD, WORD) and self.padding == (0, 0) and all(side % WORD == 0 for side in sides)


def _word_blocks(obs: Tensor) -> Tensor:
    """Return uint8 images (B, C, H, W) as blocks, (B, C * 16, H / 4, W / 4), with the channels last.

    The values are those of F.pixel_unshuffle(obs, 4), which is several times slower on bytes.
    """
    blocks: Tensor = torch.ops.rlrun.word_blocks(obs)
    return blocks


def _cut_words(obs: Tensor) -> Tensor:
    """Return what `_word_blocks` returns."""
    batch, channels, height, width = obs.shape
    rows, columns = height // WORD, width // WORD
    words = obs.view(torch.int32).view(batch, channels, rows, WORD, columns)
    # In two steps, whole lines and then words: each reads and writes long runs, which takes half the time of one step.
    lines = words.permute(0, 2, 1, 3, 4).contiguous().view(batch, rows, channels * WORD, columns)
    blocks = lines.transpose(2, 3).contiguous().view(torch.uint8)  # (B, Y, X, (C, y, x))
    return blocks.permute(0, 3, 1, 2)


# An operation by itself, because TorchScript, as which updates run on a CPU, knows no bytes that are seen as words.
_OPERATIONS = torch.library.Library("rlrun", "FRAGMENT")  # type: ignore[no-untyped-call]
_OPERATIONS.define("word_blocks(Tensor obs) -> Tensor")  # type: ignore[no-untyped-call]
_OPERATIONS.impl("word_blocks", _cut_words, "CPU")  # type: ignore[no-untyped-call]


def _block_weight(weight: Tensor) -> Tensor:
    """Return the weights, (O, C, k, k), as they apply to blocks: (O, C * 16, k / 4, k / 4).

    A k x k convolution of stride 4 over pixels is a k/4 x k/4 convolution of stride 1 over blocks of 4 x 4 pixels.
    """
    out_channels, channels, height, width = weight.shape
    blocks = weight.reshape(out_channels, channels, height // WORD, WORD, width // WORD, WORD)
    blocks = blocks.permute(0, 1, 3, 5, 2, 4)  # (O, C, y, x, Y, X)
    blocks = blocks.reshape(out_channels, channels * WORD * WORD, height // WORD, width // WORD)
    return blocks.contiguous(memory_format=torch.channels_last)


def _pixel_blocks(obs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return images (B, C, H, W) of bytes or floats as blocks of `dtype`, (B, 16 * C, H / 4, W / 4), channels last.

    A GPU's way, in one copy. The C channels of a pixel stay side by side, where images with the channels last have
    them: of those each line of a block is one run in memory, before and after.
    """
    batch, channels, height, width = obs.shape
    rows, columns, run = height // WORD, width // WORD, WORD * channels
    if _moves_runs(obs, dtype, run):
        lines = obs.permute(0, 2, 3, 1).view(batch, rows, WORD, columns, run).view(torch.int64)
        blocks = lines.transpose(2, 3).contiguous().view(dtype)  # (B, Y, X, y, (x, C))
    else:
        pixels = obs.view(batch, channels, rows, WORD, columns, WORD).permute(0, 2, 4, 3, 5, 1)
        blocks = pixels.to(dtype, memory_format=torch.contiguous_format).contiguous()  # (B, Y, X, y, x, C)
    return blocks.flatten(3).permute(0, 3, 1, 2)


def _moves_runs(obs: Tensor, dtype: torch.dtype, run: int) -> bool:
    """Return whether images can be rearranged eight bytes at once: runs of `run` numbers, with no one asking how."""
    return (
        not torch.compiler.is_compiling()  # a compiler makes its own kernel
        and obs.dtype == dtype
        and not obs.requires_grad  # as integers they have no gradient
        and obs.is_contiguous(memory_format=torch.channels_last)
        and run * dtype.itemsize % 8 == 0
        and obs.storage_offset() * dtype.itemsize % 8 == 0
    )


def _pixel_block_weight(weight: Tensor) -> Tensor:
    """Return the weights, (O, C, k, k), as they apply to `_pixel_blocks`: (O, 16 * C, k / 4, k / 4), channels last."""
    out_channels, channels, height, width = weight.shape
    # From their own order in memory, so that the gradient comes back in it.
    lines = weight.permute(0, 2, 3, 1).view(out_channels, height // WORD, WORD, width // WORD, WORD, channels)
    return lines.transpose(2, 3).flatten(3).permute(0, 3, 1, 2)  # (O, (y, x, C), Y, X)


def _widened(maps: Tensor) -> Tensor:
    """Return maps or weights with channels of zeros added up to a multiple of LANES, in the memory layout they have."""
    return F.pad(maps, (0, 0, 0, 0, 0, -maps.shape[1] % LANES))
