//! writ-server
