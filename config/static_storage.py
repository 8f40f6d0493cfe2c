"""Static files: hashed and compressed once collected, plain before that (tests, a checkout without a build)."""

from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]


class CollectedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    def stored_name(self, name: str) -> str:
        # Without a manifest nothing was collected: whitenoise then finds the file by its plain name.
        return super().stored_name(name) if self.hashed_files else name
