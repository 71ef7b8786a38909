"""The page of `assay corpus profile`: profile.json -> one HTML file, in English and Chinese. It computes nothing that
profile.json does not hold, shares and percentages of its counts aside."""
