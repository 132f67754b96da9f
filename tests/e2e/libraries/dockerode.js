// dockerode, unmodified: each call, and what came of it, a line each.
const Docker = require('dockerode'); const stream = require('stream');
const d = new Docker();
const fs = require('fs'), dir = process.argv[2];
const log = (...a) => console.log(...a);
function sink() { let s=''; const w = new stream.Writable({write(c,e,cb){s+=c;cb()}}); w.text=()=>s; return w; }
(async () => {
  log((await d.ping()).toString());
  log(typeof (await d.info()).Containers);
  const net = await d.createNetwork({Name:'dknet', CheckDuplicate:true, Labels:{a:'b'}}); log((await net.inspect()).Labels);
  const vol = await d.createVolume({Name:'dkvol'}); log(vol.name || vol.Name);
  const c = await d.createContainer({Image:'busybox', name:'dk', Tty:false, OpenStdin:true, StdinOnce:true, AttachStdin:true, AttachStdout:true, AttachStderr:true, Cmd:['sh','-c','read x; echo got $x; echo err >&2; exit 3'], HostConfig:{NetworkMode:'dknet', Binds:['dkvol:/v'], RestartPolicy:{Name:'no'}}});
  const s = await c.attach({stream:true,stdin:true,stdout:true,stderr:true,hijack:true});
  const o = sink(), e = sink(); c.modem.demuxStream(s,o,e);
  const ended = new Promise(r => s.on('end', r));
  await c.start(); s.write('hello\n');
  log(await c.wait()); await ended; log(JSON.stringify(o.text()), JSON.stringify(e.text()));
  log(JSON.stringify((await c.logs({stdout:true,stderr:false,follow:false})).toString('latin1')));
  log((await c.inspect()).State.ExitCode);
  const r = sink(); const res = await d.run('busybox',['sh','-c','echo run; exit 4'], r, {HostConfig:{AutoRemove:true}}); log(res[0], JSON.stringify(r.text()));
  const l = await d.createContainer({Image:'busybox', name:'dk2', Cmd:['sleep','100'], ExposedPorts:{'80/tcp':{}}, HostConfig:{PortBindings:{'80/tcp':[{HostIp:'127.0.0.1', HostPort:''}]}}}); await l.start();
  log((await l.inspect()).NetworkSettings.Ports['80/tcp'].length);
  const ex = await l.exec({Cmd:['sh','-c','cat; echo done; exit 7'],AttachStdin:true,AttachStdout:true,AttachStderr:true});
  const es = await ex.start({hijack:true,stdin:true}); const eo = sink(); l.modem.demuxStream(es,eo,eo); es.write('in\n'); es.end();
  await new Promise(r=>es.on('end',r)); log(JSON.stringify(eo.text()), (await ex.inspect()).ExitCode);
  const ext = await l.exec({Cmd:['sh','-c','stty size'],AttachStdout:true,Tty:true}); const ets = await ext.start({Tty:true}); const et=sink(); ets.pipe(et); await new Promise(r=>ets.on('end',r)); log(JSON.stringify(et.text()));
  log(typeof (await l.stats({stream:false})).cpu_stats.cpu_usage.total_usage);
  log((await l.top()).Processes.length);
  const tar = require('tar-fs'); fs.mkdirSync(dir + '/put'); fs.writeFileSync(dir + '/put/f', 'x');
  await l.putArchive(tar.pack(dir + '/put'),{path:'/tmp'}); const ar = await l.getArchive({path:'/tmp/f'}); let n=0; for await (const c of ar) n+=c.length; log(n);
  const inf = await l.infoArchive({path:'/tmp/f'}); log(inf.statusCode);
  const ev = await d.getEvents({filters:{container:['dk2'],event:['pause','unpause','kill','die']}}); let evs=''; ev.on('data',b=>evs+=b);
  await l.pause(); await l.unpause(); await l.rename({name:'dk3'}); await l.update({Memory:67108864, MemorySwap:-1}); await l.resize({h:10,w:20}).catch(e=>log('resize',e.statusCode));
  await net.connect({Container:l.id, EndpointConfig:{Aliases:['al']}}); log(Object.keys((await l.inspect()).NetworkSettings.Networks).sort()); await net.disconnect({Container:l.id});
  const im = await l.commit({repo:'dkimg',tag:'1',comment:'c'}); log(im.Id.slice(0,7)); const img = d.getImage('dkimg:1'); log((await img.history()).length>1, (await img.inspect()).RepoTags); await img.tag({repo:'dkimg',tag:'2'});
  const save = await img.get(); let sz=0; for await (const c of save) sz+=c.length; log(sz>1e6);
  await d.getImage('dkimg:1').remove(); await d.getImage('dkimg:2').remove();
  await l.kill(); log((await l.wait()).StatusCode); await new Promise(r=>setTimeout(r,300)); ev.destroy(); log(evs.trim().split('\n').map(x=>JSON.parse(x).Action).join(','));
  log((await d.listContainers({all:true,filters:{status:['exited']}})).length);
  try { await d.getContainer('nope').inspect() } catch (e) { log(e.statusCode, e.reason, e.json.message) }
  try { await d.createContainer({Image:'nosuch:x'}) } catch (e) { log(e.statusCode, e.reason, e.json.message) }
  const exp = await l.export(); let k=0; for await (const c of exp) k+=c.length; log(k>1e6);
  await l.remove({v:true,force:true}); await c.remove(); await vol.remove(); await net.remove();
  log((await d.listVolumes()).Volumes.length, (await d.df()).Containers.length);
  log((await d.pruneContainers()).SpaceReclaimed, JSON.stringify(await d.pruneNetworks()), JSON.stringify((await d.pruneVolumes())));
process.exit(0);
})().catch(e => { console.log('FAILED', e); process.exit(1); });
