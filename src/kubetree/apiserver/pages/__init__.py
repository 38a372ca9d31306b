"""What is served beside the API's objects: health, OpenAPI, OpenID, logs, debugging and z-pages; `table` says which path is whose."""
