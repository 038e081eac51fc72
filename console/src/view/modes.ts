// Other ways to look at the page: presenter (large text, map and market) and kiosk (walks through views by itself).

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
type Mode = 'presenter' | 'kiosk';
const VIEWS = ['map', 'market', 'charts'] as const;
const VIEW_NAMES: Readonly<Record<(typeof VIEWS)[number], string>> = { map: 'Map', market: 'Market', charts: 'Charts' };
const KIOSK_S = 15;

export class Modes {
  private mode: Mode | null = null;
  private timer = 0;
  private at = 0;

  /** `changed` is called when sizes have changed; `explain` opens or closes the explanation of a tick. */
  constructor(
    private readonly changed: () => void,
    private readonly explain: (isOpen: boolean) => void,
  ) {
    for (const mode of ['presenter', 'kiosk'] as const) {
      get(`mode-${mode}`).addEventListener('click', () => {
        get<HTMLDetailsElement>('view-menu').open = false;
        void document.documentElement.requestFullscreen().catch(() => undefined); // the view works in a window, too
        this.enter(mode);
      });
    }
    get('mode-leave').addEventListener('click', () => this.leave());
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) this.leave();
    });
    document.addEventListener('fullscreenchange', () => {
      if (!document.fullscreenElement) this.leave();
    });
    const asked = new URLSearchParams(location.search).get('view');
    if (asked === 'presenter' || asked === 'kiosk') this.enter(asked);
  }

  private enter(mode: Mode): void {
    this.mode = mode;
    document.documentElement.dataset['view'] = mode;
    get('mode-bar').hidden = false;
    if (mode === 'kiosk') {
      const seconds = Number(new URLSearchParams(location.search).get('seconds'));
      this.show(0);
      this.timer = window.setInterval(() => this.show(this.at + 1), 1000 * (seconds >= 1 ? seconds : KIOSK_S));
    } else get('mode-name').textContent = '';
    this.changed();
  }

  private leave(): void {
    if (!this.mode) return;
    this.mode = null;
    clearInterval(this.timer);
    delete document.documentElement.dataset['view'];
    delete document.documentElement.dataset['kiosk'];
    get('mode-bar').hidden = true;
    this.explain(false);
    if (document.fullscreenElement) void document.exitFullscreen();
    this.changed();
  }

  private show(index: number): void {
    this.at = index % VIEWS.length;
    const view = VIEWS[this.at]!;
    document.documentElement.dataset['kiosk'] = view;
    get('mode-name').textContent = `${VIEW_NAMES[view]}, ${this.at + 1} of ${VIEWS.length}`;
    this.explain(view === 'market');
    this.changed();
  }
}
