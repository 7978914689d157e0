"""The filters and sorts of the API as SQL."""
