"""What users start from, as data: the recipes of `runyard init`, and the base job templates of pools."""
