# GNU make; the work is done by the scripts in .ci/.

.PHONY: all run test asan unit fuzz faults bench valgrind plans page clean \
	help check-style check-includes check-docs check-notify check-metrics \
	docker-test load load-10k load-expiry fresh-test install uninstall \
	deb deb-test check-samples golden

all:        ## build/ngx_http_softfactory_module.so
	@.ci/build.sh

install:    ## module, data files, samples [DESTDIR= MODULES_DIR= DATA_DIR=]
	@.ci/build.sh
	@.ci/deploy.sh install

uninstall:  ## removes what install has made
	@.ci/deploy.sh uninstall

deb:        ## build/deb/libnginx-mod-http-softfactory_*.deb
	@.ci/install.sh build deb
	@.ci/deb.sh

deb-test:   ## the package in a fresh Debian: install, upgrade, remove, purge
	@.ci/install.sh build deb deb-test
	@.ci/deb-test.sh

run:        ## serve http://localhost:9000 with demo data [PORT= SIZE=large]
	@.ci/run-demo.sh

test:       ## everything: checks, unit tests, both nginx builds, PostgreSQL
	@.ci/test.sh

golden:     ## t/golden/*.txt made anew: t/README.md says when one may
	@SF_GOLDEN=1 .ci/test.sh -1 t/golden.t
	@.ci/test.sh -1 t/golden.t

fresh-test: ## make run and make test in a fresh clone, in a bare Debian
	@.ci/fresh.sh

asan:       ## build/asan/nginx: nginx and module with ASan and UBSan
	@.ci/install.sh build asan
	@.ci/asan.sh

unit:       ## tests of the parts that need no nginx
	@.ci/install.sh build asan unit
	@.ci/asan.sh
	@.ci/unit.sh

fuzz:       ## hostile bytes against the parsers [FUZZ_SECONDS=]
	@.ci/install.sh build fuzz
	@.ci/fuzz.sh $(FUZZ_SECONDS)

faults:     ## databases that stall, die and come back [FAULTS=short]
	@.ci/install.sh build run faults
	@.ci/faults.sh

plans:      ## the plans of all statements over the large demo data
	@.ci/install.sh build asan plans
	@.ci/asan.sh
	@.ci/plans.sh

bench:      ## how fast, on this machine [BENCH=short BENCH_ONLY=hits]
	@.ci/bench.sh

load:       ## the report's load by locust [LOAD=short LOAD_PACE=k6]
	@.ci/load.sh sessions

load-10k:   ## 10,000 connections at two paces [LOAD=short]
	@.ci/load.sh 10k

load-expiry: ## 40,000 answers that expire together [LOAD=short]
	@.ci/load.sh expiry

valgrind:   ## the test suite under valgrind
	@.ci/valgrind.sh

page:       ## the live page in headless Chromium, with pictures
	@.ci/page.sh

docker-test: ## builds docker/ and runs its compose file, with podman
	@.ci/docker.sh

check-style: ## lines, names, lengths, forbidden calls
	@.ci/check-style.sh

check-includes: ## who may include and call whom
	@.ci/check-includes.sh

check-docs: ## directives, variables and endpoints are documented
	@.ci/check-docs.sh

check-notify: ## conf/postgresql/softfactory*.sql fit the list of tables
	@.ci/check-notify.sh

check-samples: ## the samples and the manuals' blocks do what they say
	@.ci/check-samples.sh

check-metrics: ## alerts fire as they should, ask for what exists [SAMPLE=]
	@.ci/check-metrics.sh $(SAMPLE)

clean:      ## stop what was left running, remove build/
	@.ci/clean.sh

help:       ## this list
	@sed -nE 's/^([a-z0-9-]+): *## (.*)/\1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "make %-16s %s\n", $$1, $$2 }'
