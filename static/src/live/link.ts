// The connection to a run: reconnects by itself, misses no event, asks again for what the page looks at.
import {
  type ClientMessage,
  type EventMessage,
  type Frame,
  type Hello,
  type ServerMessage,
  type Subscription,
  portKey,
  read,
  write,
} from "./protocol";

export const HEARTBEAT_MS = 10_000;
export const STALE_MS = 3_000;
export const RETRY_FIRST_MS = 2_000;
export const RETRY_LAST_MS = 15_000;

/** Close code: there is nothing to watch for this person any more. */
export const GONE = 4404;
/** Close code: the person's role in the workspace is another now. */
export const ROLE_CHANGED = 4409;

/** connecting: first try; reconnecting: lost, trying again; offline: the browser has no network;
 * refused: the server knows no such run for this person; ended: the run is over and everything is read. */
export type LinkState = "connecting" | "linked" | "stale" | "reconnecting" | "offline" | "refused" | "ended";

export interface LinkHandlers {
  onState(state: LinkState, retryInMs: number | null): void;
  onHello(hello: Hello): void;
  /** Kept events arrive exactly once each and in order; events that are not kept have seq null. */
  onEvent(event: EventMessage): void;
  onFrame(frame: Frame): void;
  /** The server refused a subscription or something else that was asked. */
  onRefusal(message: string): void;
  /** The server has closed the socket, for the reason that the code says. */
  onClosed?(code: number): void;
}

/** What LinkOptions.Socket must be: the browser's WebSocket, or a look-alike. */
export type SocketClass = new (url: string) => WebSocket;

export interface LinkOptions {
  url: string;
  Socket?: SocketClass;
  /** Number of the last event known already. */
  after?: number;
}

export class RunLink {
  readonly #url: string;
  readonly #Socket: SocketClass;
  readonly #handlers: LinkHandlers;
  /** What each holder wants of a port; the server is asked for the least that serves them all. */
  readonly #wanted = new Map<string, Subscription[]>();
  #socket: WebSocket | null = null;
  #state: LinkState = "connecting";
  #lastEvent: number;
  #retryMs = RETRY_FIRST_MS;
  #nextId = 1;
  #greeted = false;
  #failedHandshakes = 0;
  #closed = false;
  #expectsTraffic = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #staleTimer: ReturnType<typeof setTimeout> | undefined;
  #heartbeatTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: LinkOptions, handlers: LinkHandlers) {
    this.#url = options.url;
    this.#Socket = options.Socket ?? WebSocket;
    this.#lastEvent = options.after ?? 0;
    this.#handlers = handlers;
  }

  get state(): LinkState {
    return this.#state;
  }

  get lastEvent(): number {
    return this.#lastEvent;
  }

  open(): void {
    addEventListener("online", this.#online);
    addEventListener("offline", this.#offline);
    this.#connect();
  }

  /** Leaves for good. `ended` says that nothing is missing because the run is over. */
  close(state: "ended" | null = null): void {
    this.#closed = true;
    removeEventListener("online", this.#online);
    removeEventListener("offline", this.#offline);
    clearTimeout(this.#retryTimer);
    this.#drop();
    if (state) this.#enter(state);
  }

  /** Whether silence means trouble: true while the run moves, false while it is queued, paused or over. */
  expectTraffic(expected: boolean): void {
    this.#expectsTraffic = expected;
    if (this.#state === "linked" || this.#state === "stale") this.#heard();
  }

  /** Asks for a port; several views may hold the same one. Gives back the way to let go. */
  subscribe(subscription: Subscription): () => void {
    const key = portKey(subscription.node, subscription.port);
    const holders = this.#wanted.get(key) ?? [];
    holders.push(subscription);
    this.#wanted.set(key, holders);
    this.#ask(holders);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      holders.splice(holders.indexOf(subscription), 1);
      if (holders.length > 0) {
        this.#ask(holders);
        return;
      }
      this.#wanted.delete(key);
      this.#send({ op: "unsubscribe", node: subscription.node, port: subscription.port });
    };
  }

  readonly #online = () => {
    if (this.#closed || this.#socket) return;
    clearTimeout(this.#retryTimer);
    this.#retryMs = RETRY_FIRST_MS;
    this.#connect();
  };

  readonly #offline = () => {
    if (this.#closed) return;
    clearTimeout(this.#retryTimer);
    this.#drop();
    this.#enter("offline");
  };

  #connect(): void {
    this.#enter(this.#failedHandshakes === 0 && this.#lastEvent === 0 ? "connecting" : "reconnecting");
    const separator = this.#url.includes("?") ? "&" : "?";
    const socket = new this.#Socket(`${this.#url}${separator}after=${this.#lastEvent}`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#greeted = false;
    socket.addEventListener("message", (message: MessageEvent) => {
      if (socket === this.#socket) this.#receive(message.data as ArrayBuffer);
    });
    socket.addEventListener("close", (event: CloseEvent) => {
      if (socket === this.#socket) this.#lost(event.code);
    });
  }

  #receive(buffer: ArrayBuffer): void {
    this.#heard();
    let message: ServerMessage;
    try {
      message = read(buffer);
    } catch (error) {
      this.#handlers.onRefusal(error instanceof Error ? error.message : String(error));
      return;
    }
    switch (message.kind) {
      case "hello":
        this.#greet(message);
        break;
      case "frame":
      case "scalar":
        this.#handlers.onFrame(message);
        break;
      case "status":
      case "log":
      case "error":
        this.#event(message);
        break;
      case "ack":
        if (!message.ok) this.#handlers.onRefusal(message.error ?? "the server refused what the page asked for");
        break;
      case "heartbeat":
        break;
    }
  }

  #greet(hello: Hello): void {
    this.#greeted = true;
    this.#failedHandshakes = 0;
    this.#retryMs = RETRY_FIRST_MS;
    this.#enter("linked");
    clearInterval(this.#heartbeatTimer);
    this.#heartbeatTimer = setInterval(() => this.#send({ op: "heartbeat" }), HEARTBEAT_MS);
    for (const holders of this.#wanted.values()) this.#ask(holders);
    this.#handlers.onHello(hello);
  }

  #event(event: EventMessage): void {
    if (event.seq !== null) {
      // After a reconnect the stored and the live stream may overlap.
      if (event.seq <= this.#lastEvent) return;
      this.#lastEvent = event.seq;
    }
    this.#handlers.onEvent(event);
  }

  #heard(): void {
    clearTimeout(this.#staleTimer);
    if (this.#state === "stale") this.#enter("linked");
    if (!this.#expectsTraffic) return;
    this.#staleTimer = setTimeout(() => {
      if (this.#state === "linked") this.#enter("stale");
    }, STALE_MS);
  }

  #lost(code: number): void {
    this.#drop();
    if (this.#closed) return;
    this.#handlers.onClosed?.(code);
    if (!this.#greeted) this.#failedHandshakes += 1;
    if (!navigator.onLine) {
      this.#enter("offline");
      return;
    }
    // In another role the same run is watched on at once.
    const wait = code === ROLE_CHANGED && this.#greeted ? 0 : this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
    this.#enter("reconnecting", wait);
    this.#retryTimer = setTimeout(() => this.#connect(), wait);
  }

  #drop(): void {
    clearTimeout(this.#staleTimer);
    clearInterval(this.#heartbeatTimer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket && socket.readyState <= 1) socket.close();
  }

  #ask(holders: readonly Subscription[]): void {
    this.#send({ op: "subscribe", id: this.#nextId++, ...holders.reduce(widest) });
  }

  #send(message: ClientMessage): void {
    // What is asked while the link is down is asked again by the greeting.
    if (this.#greeted && this.#socket?.readyState === 1) this.#socket.send(write(message));
  }

  #enter(state: LinkState, retryInMs: number | null = null): void {
    this.#state = state;
    this.#handlers.onState(state, retryInMs);
  }
}

function widest(a: Subscription, b: Subscription): Subscription {
  return {
    node: a.node,
    port: a.port,
    rate: Math.max(a.rate, b.rate),
    decimation: Math.min(a.decimation, b.decimation),
    take: a.take === null || b.take === null ? null : Math.max(a.take, b.take),
  };
}
