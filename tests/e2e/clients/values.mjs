// The values of a source that is subscribed to (Apollo's, urql's) as an async iterator; ending it unsubscribes.
export async function* eachValueFrom(source) {
  const arrived = [];
  let wake = () => {};
  const put = (one) => {
    arrived.push(one);
    wake();
  };
  const observer = { next: (value) => put({ value }), error: (error) => put({ error }), complete: () => put({ end: true }) };
  // What urql gives takes a function (and may be awaited); an observable takes an observer.
  const subscription = "then" in source ? source.subscribe(observer.next) : source.subscribe(observer);
  try {
    while (true) {
      if (!arrived.length) await new Promise((resolve) => (wake = resolve));
      const { value, error, end } = arrived.shift();
      if (error) throw error;
      if (end) return;
      yield value;
    }
  } finally {
    subscription.unsubscribe();
  }
}
