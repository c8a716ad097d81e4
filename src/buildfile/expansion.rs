//! Shell-like words: quotes, escapes and `$variables`.
