"""Presets as flat TOML files; ``vidpc.presets`` reads them."""
