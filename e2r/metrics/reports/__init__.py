"""What figures look like: tables, pictures, and the report on the paper's own figures."""
