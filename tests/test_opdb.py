import sys, time, collections
sys.path.insert(0,'tests')
import opdb
import re
def norm(w): return re.sub(r'\b(Bool|Byte|Char|Short|Int|Long|Half|BFloat16|Float|Double|ComplexFloat|ComplexDouble)\b','T',w)
def main(names,part=None):
    total=bad=0
    aspects=collections.Counter()
    ops=opdb.operators()
    if part: ops=ops[part[0]::part[1]]
    for op in ops:
        if names and op.name not in names: continue
        t0=time.time()
        n=d=0; per=collections.OrderedDict()
        print("==", opdb.title(op), flush=True, end=" ")
        try:
            for dtype, sample, found in opdb.run(op):
                n+=1
                if found: d+=1
                for a,w in found:
                    per.setdefault((a,norm(w) if a in("raises","error","refuses") else w.split(':')[0].split(' ')[0]),[]).append((dtype,w,sample))
        except opdb.Absent as e:
            print("ABSENT",e); continue
        except Exception as e:
            import traceback; traceback.print_exc(); print("HARNESS",type(e),e); continue
        print(n,d,f"{time.time()-t0:.2f}s",flush=True)
        total+=n; bad+=d
        for (a,w),l in per.items():
            aspects[a]+=len(l)
            dts=collections.Counter(x[0] for x in l)
            print("   ",a,"|",l[0][1],"|",dict(dts))
            if names and len(sys.argv)>2: print("        ",str(l[0][2].summary())[:600])
    print(total,bad,1-bad/max(total,1),aspects)
import os
part=os.environ.get("PART"); part=tuple(map(int,part.split("/"))) if part else None
main(sys.argv[1].split(',') if len(sys.argv)>1 and sys.argv[1] else [],part)
