// Cuts what the microphone hears into chunks of one length, in the thread that sound is made in.
class Chunks extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.chunk = new Float32Array(options.processorOptions.samples);
    this.filled = 0;
  }

  process([channels]) {
    for (const value of channels[0] || []) {
      this.chunk[this.filled] = value;
      this.filled += 1;
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("chunks", Chunks);
