import argparse

from pipelines._utils import load_pipeline


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--module-name", required=True)
    parser.add_argument("--role-arn", required=True)
    parser.add_argument("--kwargs")
    given = parser.parse_args()
    pipeline = load_pipeline(given.module_name, given.kwargs)
    pipeline.upsert(role_arn=given.role_arn)
    execution = pipeline.start()
    execution.wait()
    print(execution.list_steps())


if __name__ == "__main__":
    main()
