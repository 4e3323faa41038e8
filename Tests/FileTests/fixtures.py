# Wrote Fixtures with fastavro 1.13: `python fixtures.py Fixtures`. Tests need no Python.
import fastavro, json, datetime, decimal, uuid, sys, os, random
D=decimal.Decimal
out=sys.argv[1]
os.makedirs(out,exist_ok=True)
utc=datetime.timezone.utc
schema={
 "type":"record","name":"Order","namespace":"shop","fields":[
  {"name":"order_id","type":"string"},
  {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}},
  {"name":"fee","type":["null",{"type":"fixed","name":"Fee","size":6,"logicalType":"decimal","precision":12,"scale":4}],"default":None},
  {"name":"event_time","type":{"type":"long","logicalType":"timestamp-micros"}},
  {"name":"seen","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
  {"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
  {"name":"day","type":{"type":"int","logicalType":"date"}},
  {"name":"took","type":{"type":"int","logicalType":"time-millis"}},
  {"name":"trace","type":{"type":"string","logicalType":"uuid"}},
  {"name":"status","type":{"type":"enum","name":"Status","symbols":["NEW","PAID","GONE"]}},
  {"name":"pieces","type":"int"},
  {"name":"weight","type":"double"},
  {"name":"share","type":"float"},
  {"name":"vip","type":"boolean"},
  {"name":"customer","type":["null",{"type":"record","name":"Customer","fields":[
     {"name":"name","type":"string"},{"name":"age","type":["int","null"]},
     {"name":"parent","type":["null","Customer"]}]}]},
  {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[{"name":"sku","type":"string"},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}}]}}},
  {"name":"tags","type":{"type":"map","values":"string"}},
  {"name":"code","type":["null","string","long"]},
  {"name":"blob","type":"bytes"},
  {"name":"note","type":"string"}]}
def order(i,r):
    c={"name":"客户%d"%i,"age":None if i%3==0 else i,"parent":None if i%2 else {"name":"p","age":4,"parent":{"name":"q","age":None,"parent":None}}}
    return {"order_id":"o-%d"%i,"amount":D(r.randrange(-10**9,10**10))/100,"fee":None if i%4==0 else D(r.randrange(-10**6,10**8))/10000,
     "event_time":datetime.datetime(2023,5,1,tzinfo=utc)+datetime.timedelta(microseconds=i*1000001),
     "seen":None if i%5==0 else datetime.datetime(2023,5,1,12,tzinfo=utc)+datetime.timedelta(milliseconds=i),
     "local":datetime.datetime(2023,1,5,8,0,0,i*1000),"day":datetime.date(2023,5,1)+datetime.timedelta(days=i),
     "took":datetime.time(0,0,i%60,5000),"trace":uuid.UUID(int=r.getrandbits(128)),"status":["NEW","PAID","GONE"][i%3],
     "pieces":i-5,"weight":[0.1,1e3/8,12.34,-0.5,3.0][i%5],"share":[0.1,2.5,-12.25][i%3],"vip":i%2==0,
     "customer":None if i%7==0 else c,"items":[{"sku":"s%d"%k,"price":D(100*k+i)/100} for k in range(i%4)],
     "tags":{"channel":"app%d"%i,"x":"y"} if i%3 else {},"code":[None,"text-%d"%i,4000000000+i][i%3],"blob":bytes([i%256]*3),"note":"n"*(i%200)}
r=random.Random(7)
orders=[order(i,r) for i in range(60)]
parsed=fastavro.parse_schema(schema)
for codec in ("null","deflate"):
    with open(f"{out}/orders-{codec}.avro","wb") as f:
        fastavro.writer(f,parsed,orders,codec=codec,sync_interval=2000,sync_marker=b"0123456789abcdef")
json.dump(schema,open(f"{out}/orders.avsc","w"),indent=1)
def t(dt): return None if dt is None else int((dt-datetime.datetime(1970,1,1,tzinfo=utc))/datetime.timedelta(milliseconds=1))
from zoneinfo import ZoneInfo
sh=ZoneInfo("Asia/Shanghai")
lines=[]
for o in orders:
    c=o["customer"]
    lines.append([o["order_id"],"%.2f"%o["amount"],None if o["fee"] is None else "%.4f"%o["fee"],t(o["event_time"]),t(o["seen"]),
      t(o["local"].replace(tzinfo=sh).astimezone(utc)),t(datetime.datetime(o["day"].year,o["day"].month,o["day"].day,tzinfo=sh).astimezone(utc)),
      o["took"].second*1000+5,str(o["trace"]),o["status"],o["pieces"],"%.4f"%D(repr(o["weight"])),"%.2f"%D(repr(o["share"])),o["vip"],
      None if c is None else c["name"],None if c is None else c["age"],None if c is None or c["parent"] is None else c["parent"]["age"],
      o["items"][1]["sku"] if len(o["items"])>1 else None,("%.2f"%o["items"][0]["price"]) if o["items"] else None,o["tags"].get("channel"),
      None if o["code"] is None else str(o["code"]),o["note"]])
lines=[[None if v is None else str(int(v)) if isinstance(v,bool) else str(v) for v in row] for row in lines]
json.dump(lines,open(f"{out}/orders.json","w"),ensure_ascii=False,indent=None,separators=(",",":"))
