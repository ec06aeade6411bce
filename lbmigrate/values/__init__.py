"""BSON values, one at a time or in columns: ids, times, numbers, paths into documents, formulas, files. Pure."""
