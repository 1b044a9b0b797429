//! Everything that happens on the container's side of clone3
