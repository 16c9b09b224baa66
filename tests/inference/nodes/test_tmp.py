from __future__ import annotations
import os, time, resource, cProfile, pstats
import pytest
from pathlib import Path
from tests.inference.nodes import test_nodes as t
from tests.inference.executor.running import children_of
from tests.inference.nodes.cases import ask
from tests.people import make_person
pytestmark = pytest.mark.django_db(transaction=True)
def cpu(pid):
    f = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(f[11])+int(f[12]))/100
def test_tmp(committed, settings):
    settings.INFER_QUEUE_S=30
    t0=time.process_time(); cases=t.load_cases(); print("load cpu", time.process_time()-t0)
    cases=[c for c in cases if c.name not in t.read_list()][::7]
    t0=time.process_time(); reports=t.publish_all(make_person("alice"), cases); print("publish cpu", time.process_time()-t0)
    sup=committed.running.process.pid
    kids=children_of(sup)
    before={p:cpu(p) for p in [sup,*kids]}
    names={p:Path(f"/proc/{p}/cmdline").read_text()[:60] for p in before}
    t0=time.process_time(); w=time.time()
    prof=cProfile.Profile(); prof.enable()
    for i,c in enumerate(cases):
        assert ask(c, reports[c.name]["facts"], f"/v2/models/alice/nodes/versions/{c.name}/infer", as_json=i%2==1) is None
    prof.disable()
    n=len(cases)
    print("n", n, "python ms", (time.process_time()-t0)*1000/n, "wall ms", (time.time()-w)*1000/n)
    after=[sup,*children_of(sup)]
    for p in after: print(p, names.get(p,"new"), (cpu(p)-before.get(p,0))*1000/n)
    pstats.Stats(prof).sort_stats("tottime").print_stats(12)
