//! To be written: checks values against JSON schemas.
