// Announces alarms beyond the page: by a sound, and by notifications of the browser. Both are off until chosen.

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const SOUND = 'gridfleet-alarm-sound';
const NOTIFY = 'gridfleet-alarm-notify';
/** Two tones, in Hz. */
const TONES = [880, 660];
const TONE_S = 0.18;

export class Notifier {
  private audio: AudioContext | null = null;
  private readonly sound = get<HTMLInputElement>('alarm-sound');
  private readonly notify = get<HTMLInputElement>('alarm-notify');

  constructor(private readonly site: string) {
    this.sound.checked = localStorage.getItem(SOUND) === 'on';
    this.notify.checked = localStorage.getItem(NOTIFY) === 'on' && this.mayNotify;
    this.sound.addEventListener('change', () => {
      localStorage.setItem(SOUND, this.sound.checked ? 'on' : 'off');
      if (this.sound.checked) this.play(); // browsers allow sound only after a click
    });
    this.notify.addEventListener('change', () => void this.choose());
  }

  raise(texts: readonly string[]): void {
    if (this.sound.checked) this.play();
    if (!this.notify.checked || !this.mayNotify) return;
    new Notification(`GridFleet ${this.site}`, { body: texts.join('\n'), tag: `gridfleet-${this.site}` });
  }

  private get mayNotify(): boolean {
    return 'Notification' in window && Notification.permission === 'granted';
  }

  private async choose(): Promise<void> {
    if (this.notify.checked && 'Notification' in window && !this.mayNotify) await Notification.requestPermission();
    const refused = this.notify.checked && !this.mayNotify;
    get('alarm-refused').hidden = !refused;
    if (refused) this.notify.checked = false;
    localStorage.setItem(NOTIFY, this.notify.checked ? 'on' : 'off');
  }

  private play(): void {
    this.audio ??= new AudioContext();
    void this.audio.resume();
    TONES.forEach((hertz, index) => {
      const { currentTime, destination } = this.audio!;
      const [tone, volume] = [this.audio!.createOscillator(), this.audio!.createGain()];
      tone.frequency.value = hertz;
      volume.gain.value = 0.15;
      tone.connect(volume).connect(destination);
      tone.start(currentTime + index * TONE_S);
      tone.stop(currentTime + (index + 1) * TONE_S);
    });
  }
}
