"""The project file, `prefect.yaml`: read, checked, planned and written."""
