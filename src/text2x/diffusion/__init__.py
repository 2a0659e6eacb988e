"""Diffusion mathematics: t is [B] in [0, 1], 0 is data and 1 is noise; x is [B, C, *]."""
