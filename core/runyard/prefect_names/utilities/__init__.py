"""What scripts take from the modules of `prefect.utilities`: small functions over what is here already."""
