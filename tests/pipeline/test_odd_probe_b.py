import sys, pytest, logging, traceback, json
from faults import odd_flags
from support import CommandLineHere
import luigi
from luigi.retcodes import run_with_retcodes
from luigi.setup_logging import InterfaceLogging
from tasks.runtime.luigi_seam import forget_instances
@pytest.fixture(scope="module")
def out():
    f=open("/tmp/probe2.txt","w"); yield f; f.close()
def fill(t,folder): return t.replace("{folder}",str(folder))
@pytest.mark.parametrize("c",odd_flags.COMMANDS[70:],ids=lambda c:" ".join(c.arguments))
def test_it(c,here,tmp_path,capsys,out,monkeypatch):
    odd_flags.prepare(tmp_path/"odd")
    args=[fill(a,tmp_path/"odd") for a in c.arguments]; task,rest=args[:1],args[1:]
    command=["luigi","--module","pipeline",*task,*(here.flags() if c.with_data else []),*(["--processes","1"] if c.with_data and task!=["EvaluateSuperpixels"] and 0 else []),*rest]
    monkeypatch.setattr(sys,"argv",command)
    forget_instances(); capsys.readouterr()
    log=logging.getLogger("depthseed"); h,log.handlers=log.handlers,[logging.StreamHandler(sys.stderr)]
    tb=""
    try: run_with_retcodes(command[1:]); code=0
    except SystemExit as e: code=e.code
    except BaseException as e:
        tb="UNCAUGHT "+type(e).__name__; traceback.print_exc(); code=1
        luigi.cmdline_parser.CmdlineParser._instance=None
    finally:
        log.handlers=h; logging.getLogger("luigi-interface").handlers.clear(); InterfaceLogging._configured=False
    cap=capsys.readouterr(); err=cap.err+(str(code) if isinstance(code,str) else "")
    words=[fill(w,tmp_path/"odd") for w in c.words]
    good=[l for l in err.splitlines() if all(w in l for w in words)]
    verdict=[] if good else ["NO LINE"]
    if "Traceback" in err: verdict.append("TRACEBACK")
    if code in (0,None): verdict.append("EXIT 0")
    if tb: verdict.append(tb)
    last=[l for l in err.splitlines() if l.strip() and not l.startswith("=")][-14:]
    out.write(f"{' '.join(verdict) or 'ok'} | {' '.join(c.arguments)} | {code} | {(good or last or [''])[-1][:250]}\n"); out.flush()
