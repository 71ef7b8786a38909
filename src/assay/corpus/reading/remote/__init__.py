"""Sources that are no files of this machine: hf://, s3://, https:// -> files in the cache, read like any folder.

    URI -> place (web, bucket, hub) -> objects: name, size, version, checksum
        -> those that can be read are fetched once (cache), the others stay names without content
        -> a folder named and ordered as the place has it -> listing, as of any folder

So labels, splits, ids and fingerprints are those of a local copy, and a work that goes on needs no network.
"""
