//! Empty on purpose: the tests are `main.rs`, one binary, one module for each noun.
