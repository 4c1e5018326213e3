# Each target does its own set-up, so each works first on a fresh Debian or Ubuntu machine.
.PHONY: demo test check evals lab chaos bench setup clean

demo: ## break a real service and watch it being healed
	@scripts/setup python local lab
	@.venv/bin/selfheal demo $(ARGS)

test: ## all tests; those that need a real lab say why where they are skipped
	@scripts/setup python local lab databases browser
	@scripts/test $(ARGS)

evals: ## the runbook on every recorded incident against evals/baseline.json; fails where anything is worse
	@scripts/setup python
	@.venv/bin/selfheal evals gate $(ARGS)

lab: ## every fault of the lab on real hosts; prints the table and writes lab.json (root on Linux)
	@scripts/setup python local lab
	@.venv/bin/python -m evals.lab run $(ARGS)

chaos: ## kill the server or worker at every step of a real heal, on both databases; writes chaos.json
	@scripts/setup python local databases
	@.venv/bin/python -m evals.chaos $(ARGS)

bench: ## every figure beside its goal; prints the table and writes bench.json
	@scripts/setup python local databases bench
	@.venv/bin/python -m evals.bench run $(ARGS)

check: ## format, lint, types, import contracts, and that no commit tunes signatures on test cases
	@scripts/setup python
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/selfheal evals split --commits HEAD

setup:
	@scripts/setup python local lab

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache *.egg-info
