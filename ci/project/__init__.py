"""The project file `sagemaker-gitops.yaml`: schema, loading, and what it says of one run.

`find_project` and `load_project` read it; `choose_environment`, `resolve_target` and
`select_pipelines` are pure. They are imported from their modules, so that a start pays for
nothing that it does not use.
"""
