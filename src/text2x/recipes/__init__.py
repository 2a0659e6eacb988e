"""Recipes: one file a system of the field."""
