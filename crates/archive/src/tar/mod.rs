//! The tar dialects of the field, read and written exactly.
