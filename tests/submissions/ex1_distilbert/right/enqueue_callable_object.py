# check: ex1/enqueue
# expect: full
# why: the answer is an object with __call__ that asks the engine for the limits itself
class Enqueue:
    def limits(self, engine, name):
        smallest, _, largest = engine.get_tensor_profile_shape(name, 0)
        return smallest, largest

    def __call__(self, context, buffers, stream, inputs):
        for name, array in inputs.items():
            low, high = self.limits(context.engine, name)
            if not all(a <= n <= b for a, n, b in zip(low, array.shape, high, strict=True)):
                raise ValueError(f"{name}: {array.shape} is not between {tuple(low)} and {tuple(high)}")
            context.set_input_shape(name, array.shape)
            target = buffers[name].host[: array.size].reshape(array.shape)
            target[...] = array
            cuda.memcpy_htod_async(buffers[name].device, target, stream)
        for name, buffer in buffers.items():
            context.set_tensor_address(name, int(buffer.device))
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the engine refused")
        results = {}
        for name, buffer in buffers.items():
            if name not in inputs:
                shape = tuple(context.get_tensor_shape(name))
                results[name] = buffer.host[: trt.volume(shape)].reshape(shape)
                cuda.memcpy_dtoh_async(results[name], buffer.device, stream)
        stream.synchronize()
        return {name: array.copy() for name, array in results.items()}


enqueue = Enqueue()
