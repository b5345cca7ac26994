import argparse

from pipelines._utils import load_pipeline


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--module-name", required=True)
    parser.add_argument("--kwargs")
    given = parser.parse_args()
    print(load_pipeline(given.module_name, given.kwargs).definition())


if __name__ == "__main__":
    main()
