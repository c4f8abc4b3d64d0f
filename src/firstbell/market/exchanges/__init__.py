"""One TOML file an exchange: its hours and its days. Data that ships with the package; `calendar` reads it."""
