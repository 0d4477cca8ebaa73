//! Feature extractors: damped statistics of Kitsune.
