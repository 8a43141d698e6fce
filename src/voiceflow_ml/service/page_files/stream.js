// Sends sound as a stream, 100 ms at a time, from the microphone or from a file at the speed of its time.
import { corrected, joined } from "./turns.js";

const RATE_HZ = 16000;
const CHUNK_SAMPLES = 1600;

function pcm16(samples) {
  const chunk = new Int16Array(samples.length);
  samples.forEach((value, place) => {
    chunk[place] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
  });
  return chunk.buffer;
}

// A stream that is open: send() a chunk, end() it; done is a promise of its end.
function open(tell) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const url = new URL("v1/stream", location.href);
  url.protocol = scheme;
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const sent = [];
  let turns = [];
  let heard = 0;
  let ready;
  const isReady = new Promise((resolve) => (ready = resolve));
  const done = new Promise((resolve, reject) => {
    const kinds = {
      ready(message) {
        tell.ready(message);
        ready();
      },
      turns(message) {
        heard = message.heard_s;
        turns = (message.corrected || []).reduce(corrected, joined([...turns, ...message.turns]));
        tell.heard(turns, heard, performance.now() - sent.shift());
      },
      done(message) {
        tell.done(message.turns, heard);
        resolve();
      },
      error(message) {
        reject(new Error(message.message));
      },
    };
    socket.onopen = () => socket.send(JSON.stringify({ type: "start", sample_rate_hz: RATE_HZ }));
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (Object.hasOwn(kinds, message.type)) kinds[message.type](message);
    };
    socket.onclose = () => reject(new Error("The server closed the stream before its end."));
    socket.onerror = () => reject(new Error("The stream cannot be opened; is the server up?"));
  });
  return {
    isReady: Promise.race([isReady, done]),
    done,
    send(samples) {
      if (socket.readyState !== WebSocket.OPEN) return;
      sent.push(performance.now());
      socket.send(pcm16(samples));
    },
    end() {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "end" }));
    },
  };
}

async function decoded(file) {
  const context = new OfflineAudioContext(1, 1, RATE_HZ);
  let buffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is no recording that this browser can read; try a WAV.`);
  }
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    buffer.getChannelData(channel).forEach((value, place) => (mono[place] += value / buffer.numberOfChannels));
  }
  return mono;
}

export async function streamFile(file, tell, busy) {
  const samples = await decoded(file);
  const stream = open(tell);
  let stopped = false;
  busy(() => (stopped = true));
  await stream.isReady;
  const begun = performance.now();
  for (let at = 0; at < samples.length && !stopped; at += CHUNK_SAMPLES) {
    // By the clock and not by a timer's own pace: timers are late, and their lateness adds up.
    const due = begun + (1000 * at) / RATE_HZ - performance.now();
    await Promise.race([new Promise((resolve) => setTimeout(resolve, Math.max(0, due))), stream.done]);
    stream.send(samples.subarray(at, at + CHUNK_SAMPLES));
  }
  stream.end();
  await stream.done;
}

async function microphone() {
  if (!navigator.mediaDevices) throw new Error("A microphone needs https, or a page on this very machine.");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
  } catch (error) {
    throw new Error(`The microphone cannot be used (${error.name}); allow it for this page, or plug one in.`);
  }
}

export async function streamMicrophone(tell, busy) {
  const source = await microphone();
  let context;
  let stream;
  try {
    // The context resamples to the model's rate.
    context = new AudioContext({ sampleRate: RATE_HZ });
    await context.audioWorklet.addModule("worklet.js");
    stream = open(tell);
    busy(() => stream.end());
    await stream.isReady;
    const chunks = new AudioWorkletNode(context, "chunks", {
      numberOfOutputs: 0,
      processorOptions: { samples: CHUNK_SAMPLES },
    });
    chunks.port.onmessage = (event) => stream.send(event.data);
    context.createMediaStreamSource(source).connect(chunks);
    await stream.done;
  } finally {
    source.getTracks().forEach((track) => track.stop());
    if (context) await context.close();
  }
}
