"""What several commands use: output, reading what people type, finding what they name, following runs."""
