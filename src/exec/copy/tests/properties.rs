//! What holds for every copy.
