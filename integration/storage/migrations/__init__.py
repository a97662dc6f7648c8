"""Schema versions, by Alembic: one module per version under `versions`, in the order of their numbers."""
