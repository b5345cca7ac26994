"""The package of a repository in the layout of AWS's MLOps template."""

import setuptools

setuptools.setup(
    name="wine-pipelines",
    version="0.1.0",
    packages=setuptools.find_packages(),
    install_requires=["sagemaker<3"],
    entry_points={"console_scripts": ["run-pipeline=pipelines.run_pipeline:main"]},
)
