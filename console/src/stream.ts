// The connection to the page's server, which has the whole run: its history first, then every message as it comes.

import type { Early } from './boot';
import type { FromServer, ToServer } from './model/history';
import { SUBPROTOCOL } from './web-socket';

const RECONNECT_MS = 1_000;

export interface StreamEvents {
  message(message: FromServer): void;
  /** The connection is open, or lost; it is tried again by itself. */
  online(online: boolean): void;
}

export class Stream {
  private socket: WebSocket | null = null;
  private open = false;

  constructor(
    private readonly url: string,
    early: Awaited<Early['stream']>,
    private readonly events: StreamEvents,
  ) {
    queueMicrotask(() => (early ? this.adopt(early) : this.connect()));
  }

  send(message: ToServer): void {
    if (this.open) this.socket?.send(JSON.stringify(message));
  }

  /** Take a connection that was begun before the page's code was here. */
  private adopt({ socket, messages }: NonNullable<Awaited<Early['stream']>>): void {
    this.listen(socket);
    if (socket.readyState === WebSocket.OPEN) {
      this.open = true;
      this.events.online(true);
    }
    for (const each of messages) this.events.message(JSON.parse(each) as FromServer);
    if (socket.readyState > WebSocket.OPEN) socket.onclose?.(new CloseEvent('close'));
  }

  private connect(): void {
    this.listen(new WebSocket(this.url, SUBPROTOCOL));
  }

  private listen(socket: WebSocket): void {
    this.socket = socket;
    socket.onopen = () => {
      this.open = true;
      this.events.online(true);
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      if (socket === this.socket) this.events.message(JSON.parse(data) as FromServer);
    };
    socket.onclose = () => {
      this.open = false;
      this.events.online(false);
      setTimeout(() => this.connect(), RECONNECT_MS);
    };
  }
}
