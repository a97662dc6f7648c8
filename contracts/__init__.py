"""What crosses a wire: OpenAPI documents, event schemas, the problem catalogue, and the columns of evidence."""
