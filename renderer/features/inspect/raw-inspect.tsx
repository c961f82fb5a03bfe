import { toJson } from '../../components/json-model.ts';
import { JsonView } from '../../components/json-view.tsx';
import { ErrorState, Skeleton } from '../../components/state.tsx';
import { problemOf } from '../../data/bridge.ts';
import { useCall } from '../../data/queries.ts';

/** The engine's complete answer about an image, a volume or a network. */
export function RawInspect({
  method,
  id,
  label,
}: {
  readonly method: 'images.inspect' | 'volumes.inspect' | 'networks.inspect';
  readonly id: string;
  readonly label: string;
}) {
  const { data, error, refetch } = useCall(method, { id });
  if (error !== null) {
    const problem = problemOf(error);
    return (
      <ErrorState
        message={problem.message}
        hint={problem.hint}
        onRetry={() => {
          void refetch();
        }}
      />
    );
  }
  return data === undefined ? (
    <Skeleton className="m-5 h-40" />
  ) : (
    <JsonView value={toJson(data.raw)} label={label} />
  );
}
