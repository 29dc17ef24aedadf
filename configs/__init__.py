"""The configuration tree, installed as ``optlab.configs`` (Hydra reads it only from a package)."""
