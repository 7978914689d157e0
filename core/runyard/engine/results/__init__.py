"""Results: serializers, storages, and result stores."""
